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
{% block message %}{% endblock %}
</div>
</body>
</html>
