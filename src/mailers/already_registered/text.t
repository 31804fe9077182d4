Somebody wants to open an account with this email address, which has one already. Nothing has changed.

If it was you: log in with this address. If you have forgotten the password, ask the shop for a new one.

If it was not you, do nothing: nobody was told that you have an account.

{{ text.shop }}
