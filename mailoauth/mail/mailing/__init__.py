"""One run of many messages: its workers, their pace and its journal."""
