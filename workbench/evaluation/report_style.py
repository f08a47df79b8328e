"""The look of the report: light or dark by the reader's setting, in JupyterLab by its theme, and on paper."""

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--ink:#1a1c20;--soft:#5b616b;--line:#d5d9e0;
--panel:#f4f6f9;--hot:#d9480f;--accent:#1f5fbf}
@media (prefers-color-scheme:dark){:root{--bg:#15171b;--ink:#e8eaee;--soft:#a3abb8;--line:#3a404a;
--panel:#1e2127;--hot:#e8590c;--accent:#7fb0ff}}
@media print{:root{color-scheme:light;--bg:#fff;--ink:#000;--soft:#444;--line:#bbb;--panel:#f4f6f9;
--hot:#d9480f;--accent:#1f5fbf}}
body[data-jp-theme-light="true"] .report{color-scheme:light;--bg:#fff;--ink:#1a1c20;--soft:#5b616b;
--line:#d5d9e0;--panel:#f4f6f9;--hot:#d9480f;--accent:#1f5fbf}
body[data-jp-theme-light="false"] .report{color-scheme:dark;--bg:#15171b;--ink:#e8eaee;--soft:#a3abb8;
--line:#3a404a;--panel:#1e2127;--hot:#e8590c;--accent:#7fb0ff}
.report *{box-sizing:border-box}
.report{background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:72rem;
margin:0 auto;padding:1.5rem}
.report h1{font-size:1.6rem;margin:0 0 .2rem}
.report h2{font-size:1.2rem;margin:2.2rem 0 .5rem;border-top:1px solid var(--line);padding-top:1rem}
.report h3{font-size:1rem;margin:1.4rem 0 .3rem}
.report p,.report li{max-width:52rem}
.report .soft,.report small{color:var(--soft)}
.report .say,.report .warn{background:var(--panel);padding:.7rem 1rem;margin:1rem 0}
.report .say{border-left:4px solid var(--accent)}
.report .warn{border-left:4px solid var(--hot)}
.report .say ul,.report .warn ul{margin:.2rem 0;padding-left:1.1rem}
.report .scroll{overflow-x:auto;margin:.8rem 0}
.report table{color:var(--ink);border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
.report caption{text-align:left;color:var(--soft);padding:.3rem 0}
.report th,.report td{border-bottom:1px solid var(--line);padding:.28rem .6rem;text-align:left;
vertical-align:top;background:transparent;color:inherit}
.report th{font-weight:600}
.report .n{text-align:right;white-space:nowrap}
.report th.n{white-space:normal}
.report tr.gray{color:var(--soft)}
.report .heat td{text-align:center;min-width:5.5rem;print-color-adjust:exact;
-webkit-print-color-adjust:exact;background:color-mix(in srgb,var(--hot) var(--heat,0%),var(--bg))}
.report .heat td span{display:block;font-weight:600}
.report .heat td small{display:block;color:inherit}
.report .heat td.gray{color:var(--soft);
background:repeating-linear-gradient(45deg,transparent 0 6px,var(--panel) 6px 12px)}
.report .heat td.gray span{font-weight:400}
.report figure{margin:1rem 0}
.report figcaption{color:var(--soft);font-size:.9rem}
.report svg{width:100%;max-width:46rem;height:auto;font:12px system-ui,sans-serif}
.report svg text{fill:var(--ink)}
.report svg line{stroke:var(--ink);stroke-width:2}
.report svg line.whole{stroke:var(--accent);stroke-width:1;stroke-dasharray:5 3}
.report svg circle{fill:var(--accent);stroke:var(--bg)}
@media print{.report{max-width:none;padding:0;font-size:10pt}
.report .scroll{overflow:visible}
.report table{font-size:8.5pt}
.report h2{break-after:avoid}
.report tr,.report figure,.report .say,.report .warn{break-inside:avoid}
.report thead{display:table-header-group}}
"""
