"""What servers say when they refuse to take mail: the rows for SMTP submission."""

from __future__ import annotations

from mailoauth.refusals import FEWER_CONNECTIONS, OUR_MISTAKE, REFRESH, SIGN_IN_AGAIN, WAIT, Refusal

_SUBMISSION = "Microsoft, Improvements in SMTP client submission (smtp-submission-improvements)"
_ENABLE_MAILBOX = (
    "A new sign-in will not help: an administrator must enable SMTP AUTH for the mailbox:"
    " Set-CASMailbox {mailbox} -SmtpClientAuthenticationDisabled $false"
)
_ENABLE_TENANT = (
    "Or for the whole tenant: Set-TransportConfig -SmtpClientAuthenticationDisabled $false"
)
_ASK_ADMINISTRATOR = ("Ask the tenant's administrator; a new sign-in or token will not help.",)
_USE_OAUTH = ("Let the program sign in with XOAUTH2, as mailoauth does.",)
_SEND_AS = (
    "Send from {user}, or from an alias of it.",
    (
        "To send from another mailbox an administrator runs Add-RecipientPermission for it, with"
        " -Trustee {user} -AccessRights SendAs; that takes up to an hour."
    ),
)
_BLOCKED = (
    "An administrator can unblock the account: Microsoft Defender > Review > Restricted entities.",
    "Change the password first: somebody may be sending from the account.",
)

# A table: rows are easier to compare as they are.
# fmt: off
SMTP: tuple[Refusal, ...] = (
    Refusal("smtp", "configuration", "mailoauth", "authentication",
        r"Invalid base64 data in initial response|^500[ -]5\.5\.2 [^\n]{0,40}Line too long",
        "535 5.7.8 Error: authentication failed: Invalid base64 data in initial response",
        "The AUTH line was longer than the server takes; the token may be good.",
        (("Send AUTH alone and the token after the server's 334 (RFC 4954 section 4), as"
          " mailoauth does."),), "Postfix 3.7.11; Dovecot 2.3.19"),
    Refusal("smtp", "configuration", "administrator", "sending",
        r"SmtpClientAuthentication is disabled for the Tenant",
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the"
        " Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.",
        "SMTP AUTH is switched off for the whole tenant, for OAuth too.",
        (_ENABLE_MAILBOX, _ENABLE_TENANT), "email-oauth2-proxy #193, #66; MailKit #700"),
    Refusal("smtp", "configuration", "administrator", "sending",
        r"SmtpClientAuthentication is disabled for the Mailbox",
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the"
        " Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information.",
        "SMTP AUTH is switched off for this mailbox, for OAuth too.", (_ENABLE_MAILBOX,),
        "email-oauth2-proxy #193, #66; MailKit #700"),
    Refusal("smtp", "configuration", "administrator", "sending",
        r"basic authentication is disabled",
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        "A password was used, and the server takes OAuth only.", _USE_OAUTH, "client logs"),
    Refusal("smtp", "configuration", "administrator", "sending",
        r"the user credentials were incorrect",
        "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
        "A password was used and is wrong, or a program fell back from OAuth to a password.",
        _USE_OAUTH, "client logs"),
    Refusal("smtp", "configuration", "administrator", "sending",
        r"security defaults policy",
        "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security"
        " defaults policy. Contact your administrator.",
        "The organization's security defaults forbid this way of signing in to SMTP.",
        (*_ASK_ADMINISTRATOR, *_USE_OAUTH), "client logs"),
    Refusal("smtp", "configuration", "administrator", "sending",
        r"the request did not meet the criteria",
        "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be"
        " authenticated successfully. Contact your administrator.",
        "A Conditional Access rule or an authentication policy forbids SMTP here.",
        _ASK_ADMINISTRATOR, "client logs"),
    Refusal("smtp", "configuration", "administrator", "sending",
        r"\b5\.7\.139\b", "535 5.7.139 Authentication unsuccessful.",
        "The tenant's settings forbid SMTP for this account.",
        (*_ASK_ADMINISTRATOR, _ENABLE_MAILBOX), "client logs"),
    Refusal("smtp", "configuration", "administrator", "sending",
        r"\b5\.7\.30\b|Basic authentication is not supported for Client Submission",
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        "A password was used, and the server takes OAuth only.", _USE_OAUTH,
        "Exchange team blog, retirement of basic authentication with Client Submission"),
    Refusal("smtp", "stale_token", "mailoauth", "authentication",
        r"\b535[ -]5\.7\.3\b|^5\.7\.3 Authentication unsuccessful",
        "535 5.7.3 Authentication unsuccessful [SN2PR00CA0018.namprd00.prod.outlook.com]",
        "Outlook does not accept the token: it is expired, lacks the scope SMTP.Send, or is not"
        " of the user who signs in.", (*REFRESH, *SIGN_IN_AGAIN),
        "Microsoft, How to authenticate an IMAP, POP or SMTP application by using OAuth"),
    Refusal("smtp", "stale_token", "mailoauth", "authentication",
        r"Username and Password not accepted",
        "535-5.7.8 Username and Password not accepted. For more information, go to\n535 5.7.8 "
        " https://support.google.com/mail/?p=BadCredentials - gsmtp",
        "Gmail does not accept the token: it is expired or revoked, or belongs to somebody else.",
        (*REFRESH, *SIGN_IN_AGAIN), "Google, OAuth 2.0 Mechanism (xoauth2-protocol)"),
    Refusal("smtp", "stale_token", "mailoauth", "authentication",
        r"\b535[ -]5\.7\.[08]\b", "535 5.7.8 Error: authentication failed: (reason unavailable)",
        "The server does not accept the token: it is expired or revoked, or belongs to somebody"
        " else.", (*REFRESH, *SIGN_IN_AGAIN), "RFC 4954 section 6; Postfix 3.7.11"),
    Refusal("smtp", "configuration", "mailoauth", "authentication",
        r"\b5\.7\.57\b|Client (?:was )?not authenticated to send",
        "530 5.7.57 Client not authenticated to send mail.", "Mail was offered before signing in.",
        OUR_MISTAKE, "client logs"),
    Refusal("smtp", "configuration", "administrator", "sender",
        r"\b5\.7\.60\b|permissions? to send as this sender",
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        "The From address is not one that this account may send as.", _SEND_AS, "swiftmailer #1030"),
    Refusal("smtp", "configuration", "administrator", "sender",
        r"SendAsDenied",
        "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied;"
        " Failed to process message due to a permanent exception",
        "The From address is not one that this account may send as.", _SEND_AS, "MailKit #1176"),
    Refusal("smtp", "configuration", "you", "sender",
        r"Sender address rejected",
        "553 5.7.1 <bob@example.com>: Sender address rejected: not owned by user"
        " alice@example.com", "The sender's address does not belong to the account.",
        ("Send from {user}, or let the server's administrator allow the address.",),
        "Postfix 3.7.11"),
    Refusal("smtp", "throttled", "wait", "sending",
        r"Concurrent connections limit exceeded|aka\.ms/concurrent_sending",
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending"
        " for more information.",
        "The mailbox is sending on more connections than allowed (Outlook: 3).", FEWER_CONNECTIONS,
        _SUBMISSION),
    Refusal("smtp", "throttled", "wait", "sending",
        r"sender thread limit exceeded",
        "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
        "The mailbox is sending on more connections than allowed (Outlook: 3).", FEWER_CONNECTIONS,
        _SUBMISSION),
    Refusal("smtp", "throttled", "wait", "sending",
        r"SubmissionQuotaExceeded",
        "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
        "The mailbox has sent to as many recipients as it may in a day (Outlook: 10,000).",
        ("Wait a day, or send from another mailbox.",), _SUBMISSION),
    Refusal("smtp", "throttled", "wait", "sending",
        r"Daily user sending limit exceeded", "550-5.4.5 Daily user sending limit exceeded.",
        "The account has sent as much as it may in a day.", ("Wait a day.",),
        "reports of Gmail users"),
    Refusal("smtp", "throttled", "wait", "sending",
        r"\b5\.2\.25[1345]\b|Sender throttled due to continuous",
        "550 5.2.251 Sender throttled due to continuous mailbox full errors",
        "Outlook slows the mailbox down because its mail kept failing: a full mailbox, a From"
        " address it may not use, no licence, or bad recipients.",
        ("Find and stop what kept failing; then wait.",), "Microsoft, continuous-error-throttling"),
    Refusal("smtp", "throttled", "wait", "authentication",
        r"Too many login attempts", "454 4.7.0 Too many login attempts, please try again later.",
        "The account signed in too often in a short time.", WAIT, "reports of Gmail users"),
    Refusal("smtp", "throttled", "wait", "",
        r"^421[ -]4\.7\.0 Try again later", "421-4.7.0 Try again later, closing connection.",
        "The server asks to slow down.", WAIT, "reports of Gmail users"),
    Refusal("smtp", "throttled", "wait", "sending",
        r"Request is throttled|Suggested Backoff Time",
        "451 4.7.500 Request is throttled. Suggested Backoff Time: 1000 milliseconds",
        "The server asks this mailbox's clients to slow down.", WAIT,
        "imapflow; email-oauth2-proxy README"),
    Refusal("smtp", "configuration", "you", "sending",
        r"QuotaExceededException",
        "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException",
        "The sender's own mailbox is full, so no Sent copy can be kept.",
        ("Delete mail from {mailbox}.",), "client logs"),
    Refusal("smtp", "configuration", "administrator", "sending",
        r"\b5\.2\.252\b|\b5\.7\.50[89]\b|\b5\.7\.50[1-3]\b|\b5\.1\.8\b",
        "550 5.7.501 Access denied, spam abuse detected",
        "The account is blocked from sending: the provider takes its mail for spam.", _BLOCKED,
        "reports of Outlook users"),
    Refusal("smtp", "passing", "wait", "mailbox",
        r"mailbox logon failure|has no rights on this session",
        "430 4.2.0 STOREDRV; mailbox logon failure; AuthenticationContext has no rights on this"
        " session", "The app's rights on the mailbox are missing or have not spread yet.",
        ("After a change of rights wait up to an hour.",
         ("If it goes on: New-ServicePrincipal with the Enterprise application's object id, then"
          " Add-MailboxPermission for {mailbox}.")), "reports of Outlook users"),
    Refusal("smtp", "passing", "wait", "recipient",
        r"\b452[ -]4\.5\.3\b", "452 4.5.3 Too many recipients",
        "The message has more recipients than the server takes at once.",
        ("Send to the rest in a second message; Outlook takes 500.",),
        "RFC 5321 section 4.5.3.1.10"),
    Refusal("smtp", "passing", "wait", "",
        r"^451[ -]4\.7\.0", "451 4.7.0 Temporary server error. Please try again later. PRX2",
        "The server's front end has a fault at the moment.", WAIT, "client logs"),
    Refusal("smtp", "passing", "wait", "session",
        r"^421\b", "421 4.4.2 Connection timed out", "The server closed the connection.", WAIT,
        "RFC 5321 section 3.8; client logs"),
    Refusal("smtp", "configuration", "you", "recipient",
        r"\b55[0-4][ -]5\.1\.(?:1|2|3|6|10)\b|RecipientNotFound|Recipient address rejected|User unknown",
        "550 5.1.1 <nobody@example.com>: Recipient address rejected: User unknown in virtual"
        " mailbox table", "There is no such recipient.",
        ("Correct the address and send to it again.",), "RFC 3463 section 3.2"),
    Refusal("smtp", "configuration", "you", "recipient",
        r"Relay access denied|\b55[0-4][ -]5\.4\.1\b|\b5\.7\.54\b",
        "554 5.7.1 <bob@example.net>: Relay access denied",
        "The server does not take mail for this recipient from this connection.",
        ("Check the recipient's domain, and that the program signs in before it sends.",),
        "Postfix 3.7.11"),
    Refusal("smtp", "configuration", "you", "recipient",
        r"\b55[0-4][ -]5\.2\.[12]\b", "552 5.2.2 Mailbox full",
        "The recipient's mailbox is full or closed.", ("Reach the recipient in another way.",),
        "RFC 3463 section 3.3"),
    Refusal("smtp", "configuration", "you", "message",
        r"\b55[0-4][ -]5\.(?:3\.4|2\.3)\b|Message (?:size )?exceeds|message file too big",
        "552 5.3.4 Message size exceeds fixed limit",
        "The message is larger than the server takes.", ("Send it in parts, or a link to it.",),
        "RFC 3463 section 3.4"),
)
# fmt: on
