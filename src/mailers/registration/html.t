{% extends "notice.t" %}
{% block message %}<p style="margin:0 0 16px">Somebody wants to open an account with this email address. If it was you, choose a password here:</p>
{% include "link.t" %}
<p style="margin:0 0 16px">If it was not you, do nothing: without this link nobody can open an account with your address.</p>{% endblock %}
