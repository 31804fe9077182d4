Somebody wants to move another account to this email address, which has an account already. Nothing has changed.

If it was you: log in with this address to use the account that is here. If it was not you, do nothing: nobody was told that you have an account.

{{ text.shop }}
