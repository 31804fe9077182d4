{% extends "base.t" %}
{% block message %}<p style="margin:0 0 16px">Your order is cancelled, and nothing will be sent.</p>{% if html.reason %}
<p style="margin:0 0 16px"><b>Why:</b> {{ html.reason | newlines_to_br }}</p>{% endif %}{% endblock %}
