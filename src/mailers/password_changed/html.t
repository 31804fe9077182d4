{% extends "notice.t" %}
{% block message %}<p style="margin:0 0 16px">The password of your account <b>{{ html.account.username }}</b> was changed, and whoever was logged in is logged out.</p>
<p style="margin:0 0 16px">If it was not you, ask the shop for a new password at once: the link to choose it comes to this address.</p>{% endblock %}
