"""The style of the contact sheet: light and dark, from a phone's width up."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--page:#f6f7f8;--card:#fff;--text:#16191d;--soft:#59616b;--line:#dde1e6;
--good:#1d7a45;--bad:#b3261e;--link:#0b57d0;--chip:#e6f4ec;--hole:#eceff2}
@media(prefers-color-scheme:dark){:root{--page:#111417;--card:#1a1e23;--text:#e7eaee;--soft:#a3acb7;--line:#2d333a;
--good:#6bd398;--bad:#ff9d94;--link:#8ab4f8;--chip:#173626;--hole:#23282e}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;margin:0 auto;max-width:1500px;
padding:clamp(14px,3vw,40px);color:var(--text);background:var(--page);overflow-wrap:anywhere}
a{color:var(--link)}p{margin:0}
header{border-bottom:1px solid var(--line);padding-bottom:1.2rem}
h1{font-size:clamp(1.3rem,4vw,1.8rem);line-height:1.2;margin:0}
.outcome{color:var(--soft);margin-top:.2rem}
blockquote{margin:1rem 0 0;padding:.1rem 0 .1rem .9rem;border-left:3px solid var(--good);font-size:1.05rem;
max-width:75ch;white-space:pre-wrap}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(150px,45%),1fr));gap:.7rem 1.4rem;margin:1.1rem 0 0}
dl .wide{grid-column:span 2}
dt{font-size:.75rem;color:var(--soft)}dd{margin:0;font-variant-numeric:tabular-nums}
h2{font-size:1.1rem;margin:1.8rem 0 .7rem}h2 span{color:var(--soft);font-weight:400}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(240px,100%),1fr));gap:16px;align-items:start}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;overflow:hidden}
img,.none{display:block;width:100%;height:auto;aspect-ratio:1;object-fit:contain;background:var(--hole)}
.none{display:flex;align-items:center;justify-content:center;color:var(--soft)}
figure a:focus-visible{outline:3px solid var(--link);outline-offset:-3px}
figcaption{padding:.65rem .8rem .75rem;font-size:13px}
.line{display:flex;flex-wrap:wrap;justify-content:space-between;column-gap:.6rem;font-size:14px;
font-variant-numeric:tabular-nums}.line>*,.full span{white-space:nowrap}.full{display:flex;flex-wrap:wrap;column-gap:.5rem}
.rank{background:var(--chip);color:var(--good);border-radius:5px;padding:0 .35rem}
.price,.where,.full span{color:var(--soft)}.full{margin-top:.15rem}.full a{font-weight:600}
.chosen{border-color:var(--good);box-shadow:0 0 0 1px var(--good)}
.failed img{filter:saturate(.55)}.failed .reason,.no{color:var(--bad)}.spare .reason{color:var(--soft)}
details{margin-top:.3rem}summary{cursor:pointer;color:var(--soft)}
table{border-collapse:collapse;width:100%;margin-top:.3rem;font-size:12px;font-variant-numeric:tabular-nums}
th{font-weight:400;text-align:left}thead th{color:var(--soft)}th,td{padding:.1rem .4rem .1rem 0;vertical-align:top}
td,thead th+th{text-align:right}
@media(max-width:520px){.grid{grid-template-columns:repeat(2,minmax(0,1fr));gap:9px}
figcaption{padding:.5rem .55rem}}
@media print{body{background:#fff;color:#000}figure{break-inside:avoid}details{display:none}}
"""
