The webhook endpoint {{ text.webhook.id }} is disabled{% if text.webhook.description %} ({{ text.webhook.description }}){% endif %}: {% if text.webhook.disabled_reason == "gone" %}it has answered that it is gone (410).{% else %}for too long, nothing has arrived there.{% endif %}

What was waiting for it is cancelled, and what happens from now on is not sent to it. When the receiver works again, enable the endpoint:

  PATCH /api/v1/webhook-endpoints/{{ text.webhook.id }} with {"enabled": true}

GET /api/v1/events?sort=id shows what it has missed.

{{ text.shop }}
