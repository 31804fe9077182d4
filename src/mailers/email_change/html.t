{% extends "notice.t" %}
{% block message %}<p style="margin:0 0 16px">Somebody wants to move an account to this email address. If it was you, log in and confirm it here:</p>
{% include "link.t" %}
<p style="margin:0 0 16px">If it was not you, do nothing: without this link the account stays where it is.</p>{% endblock %}
