{% extends "base.t" %}
{% block message %}<p style="margin:0 0 16px">Your order is on its way.</p>{% endblock %}
{% block address %}{% include "address.t" %}{% endblock %}
