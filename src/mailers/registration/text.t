Somebody wants to open an account with this email address. If it was you, choose a password here:

  {{ text.link }}

The link is good until {{ text.until }}, and works once.

If it was not you, do nothing: without this link nobody can open an account with your address.

{{ text.shop }}
