Somebody wants to move an account to this email address. If it was you, log in and confirm it here:

  {{ text.link }}

The link is good until {{ text.until }}, and works once.

If it was not you, do nothing: without this link the account stays where it is.

{{ text.shop }}
