{% if html.order.shipping_address %}<p style="margin:0 0 16px"><b>Ships to</b><br>{{ html.order.shipping_address | newlines_to_br }}</p>
{% endif %}
