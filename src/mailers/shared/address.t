{% if html.ships_to %}<p style="margin:0 0 16px"><b>Ships to</b><br>{{ html.ships_to | newlines_to_br }}</p>
{% endif %}
