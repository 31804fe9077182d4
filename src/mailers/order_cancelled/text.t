Hello {{ text.order.customer.name }},

Your order is cancelled, and nothing will be sent.{% if text.reason %}

Why: {{ text.reason }}{% endif %}

{% include "order.t" %}{% include "end.t" %}
