Hello {{ text.order.customer.name }},

Thank you for your order. We have it, and write again when it is on its way.

{% include "order.t" %}{% if text.order.shipping_address %}
Ships to:
{{ text.order.shipping_address }}
{% endif %}{% include "end.t" %}
