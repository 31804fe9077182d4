{% extends "notice.t" %}
{% block message %}<p style="margin:0 0 16px">Somebody who knows your password has asked to move your account to another email address. It moves when they confirm that from there; until then it stays here.</p>
<p style="margin:0 0 16px">If it was not you, ask the shop for a new password now: the old one ends with it, and so does the move.</p>{% endblock %}
