"""Programs that end in every way there is; ``test_endings.py`` runs them."""
