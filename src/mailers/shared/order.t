Order {{ text.order.id }}{% if text.placed_on %}, {{ text.placed_on }}{% endif %}

{% for item in text.order.items %}  {{ item.quantity }} x {{ item.name }}{% if item.sku %} ({{ item.sku }}){% endif %}
      {{ item.unit_price }} each, {{ item.line_total }} {{ text.order.currency }}
{% endfor %}
Total: {{ text.order.total }} {{ text.order.currency }}
