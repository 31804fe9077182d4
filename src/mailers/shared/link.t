<p style="margin:24px 0"><a href="{{ html.link }}" style="display:inline-block;padding:12px 24px;border-radius:6px;background:#1f4fd8;color:#ffffff;text-decoration:none;font-weight:bold">Go on</a></p>
<p style="margin:0 0 16px;font-size:14px">Or open this address: {{ html.link }}<br>The link is good until {{ html.until }}, and works once.</p>
