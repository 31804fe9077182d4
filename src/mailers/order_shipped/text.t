Hello {{ text.order.customer.name }},

Your order is on its way.

{% include "order.t" %}{% if text.ships_to %}
Ships to:
{{ text.ships_to }}
{% endif %}{% include "end.t" %}
