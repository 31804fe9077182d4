{% extends "base.t" %}
{% block message %}<p style="margin:0 0 16px">Thank you for your order. We have it, and write again when it is on its way.</p>{% endblock %}
{% block address %}{% include "address.t" %}{% endblock %}
