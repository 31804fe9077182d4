Hello {{ text.order.customer.name }},

Thank you for your order. We have it, and write again when it is on its way.

{% include "order.t" %}{% if text.ships_to %}
Ships to:
{{ text.ships_to }}
{% endif %}{% include "end.t" %}
