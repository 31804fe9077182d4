Somebody has asked for a new password for your account. If it was you, choose one here:

  {{ text.link }}

The link is good until {{ text.until }}, and works once.

If it was not you, do nothing: your password stays as it is, and nobody was told that you have an account.

{{ text.shop }}
