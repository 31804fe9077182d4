The password of your account {{ text.account.username }} was changed, and whoever was logged in is logged out.

If it was not you, ask the shop for a new password at once: the link to choose it comes to this address.

{{ text.shop }}
