{% extends "notice.t" %}
{% block message %}<p style="margin:0 0 16px">Somebody wants to open an account with this email address, which has one already. Nothing has changed.</p>
<p style="margin:0 0 16px">If it was you: log in with this address. If you have forgotten the password, ask the shop for a new one.</p>
<p style="margin:0 0 16px">If it was not you, do nothing: nobody was told that you have an account.</p>{% endblock %}
