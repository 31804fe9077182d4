<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{{ html.subject }}</title>
</head>
<body style="margin:0;padding:0;color-scheme:light dark">
<div style="max-width:600px;margin:0 auto;padding:24px 16px;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-height:1.5;overflow-wrap:anywhere;word-break:break-word">
<p style="margin:0 0 24px;font-size:20px;font-weight:bold">{{ html.shop }}</p>
<p style="margin:0 0 16px">Hello {{ html.order.customer.name }},</p>
{% block message %}{% endblock %}
<table style="width:100%;margin:24px 0;border-collapse:collapse;table-layout:fixed" cellpadding="0" cellspacing="0">
<caption style="padding:0 0 8px;text-align:left;font-weight:bold">Order {{ html.order.id }}{% if html.placed_on %}, {{ html.placed_on }}{% endif %}</caption>
<thead>
<tr>
<th scope="col" style="padding:8px 8px 8px 0;border-bottom:2px solid #888888;text-align:left;font-size:14px">Item</th>
<th scope="col" style="width:104px;padding:8px 0 8px 8px;border-bottom:2px solid #888888;text-align:right;font-size:14px">Price</th>
</tr>
</thead>
<tbody>
{% for item in html.order.items %}<tr>
<td style="padding:8px 8px 8px 0;border-bottom:1px solid #888888;vertical-align:top">{{ item.name }}<br><span style="font-size:14px">{{ item.quantity }} &times; {{ item.unit_price }}{% if item.sku %}<br>{{ item.sku }}{% endif %}</span></td>
<td style="padding:8px 0 8px 8px;border-bottom:1px solid #888888;text-align:right;vertical-align:top">{{ item.line_total }}</td>
</tr>
{% endfor %}</tbody>
<tfoot>
<tr>
<th scope="row" style="padding:8px 8px 8px 0;text-align:left">Total in {{ html.order.currency }}</th>
<td style="padding:8px 0;text-align:right;font-weight:bold">{{ html.order.total }}</td>
</tr>
</tfoot>
</table>
{% block address %}{% endblock %}
{% if html.link %}<p style="margin:0 0 16px"><a href="{{ html.link }}">See your order</a></p>
{% endif %}</div>
</body>
</html>
