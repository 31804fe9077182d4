Hello {{ text.order.customer.name }},

Your order is on its way.

{% include "order.t" %}{% if text.order.shipping_address %}
Ships to:
{{ text.order.shipping_address }}
{% endif %}{% include "end.t" %}
