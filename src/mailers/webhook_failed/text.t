A delivery to the webhook endpoint {{ text.webhook.endpoint_id }} was given up after {{ text.webhook.attempts | length }} attempts: the event {{ text.webhook.event.id }} ({{ text.webhook.event.type }}). {% for attempt in text.webhook.attempts %}{% if loop.last and attempt.error %}The last time: {{ attempt.error }}{% endif %}{% endfor %}

When the receiver works again, this sends everything again that was given up:

  boxcar-cli task webhooks:retry endpoint:{{ text.webhook.endpoint_id }}

Further failures of this endpoint are not told within a day.

{{ text.shop }}
