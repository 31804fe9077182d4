{% if text.link %}
Your order: {{ text.link }}
{% endif %}
{{ text.shop }}
