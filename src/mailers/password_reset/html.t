{% extends "notice.t" %}
{% block message %}<p style="margin:0 0 16px">Somebody has asked for a new password for your account. If it was you, choose one here:</p>
{% include "link.t" %}
<p style="margin:0 0 16px">If it was not you, do nothing: your password stays as it is, and nobody was told that you have an account.</p>{% endblock %}
