"""The page's style: system fonts, no assets, light and dark by what the reader's system says."""

STYLE = """
:root{color-scheme:light dark;--page:#f7f7f5;--card:#fff;--ink:#1b1c1e;--dim:#63666d;--line:#e4e4e0;
--track:#e7e8ea;--accent:#2563c9;--range:#a9c4f0;--other:#8b9099;--good:#1a7f4b;--bad:#c02f2f;
--badbg:#fdecec;--goodbg:#e6f4ec}
@media(prefers-color-scheme:dark){:root{--page:#131417;--card:#1b1d21;--ink:#eceef1;--dim:#9a9fa8;
--line:#2c2f35;--track:#2c3037;--accent:#74a7ff;--range:#2f4f86;--other:#7d838d;--good:#57c78a;
--bad:#ff8080;--badbg:#3a1f22;--goodbg:#173024}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:1240px;margin:0 auto;padding:32px 24px 64px}
header{display:flex;flex-wrap:wrap;gap:6px 20px;align-items:baseline;margin-bottom:20px}
h1{font-size:26px;letter-spacing:-.01em;margin:0}
h2{font-size:17px;margin:0 0 2px}
p{margin:0}
.dim,.note{color:var(--dim)}
.note{font-size:13.5px;max-width:105ch;margin-bottom:14px}
a{color:var(--accent)}
header a{margin-left:auto}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px 22px;
margin-bottom:20px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th{font-weight:600;font-size:12.5px;color:var(--dim);text-align:right;padding:6px 10px;
border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:bottom}
td{text-align:right;padding:9px 10px;border-bottom:1px solid var(--line);white-space:nowrap}
tr:last-child td{border-bottom:0}
th.left,td.left{text-align:left;padding-left:0}
td small{color:var(--dim);font-size:12.5px}
td.name{font-weight:600}
tr.provider td{color:var(--dim);border-bottom-color:transparent;padding-top:2px;padding-bottom:6px}
tr.provider td.name{font-weight:400;padding-left:18px}
.quality{display:flex;gap:10px;align-items:center;justify-content:flex-start}
.quality b{min-width:62px;text-align:right;font-weight:600}
.interval .track{fill:var(--track)}.interval .range{fill:var(--range)}
.interval .point{fill:var(--accent);stroke:var(--card);stroke-width:1.5}
.pill{display:inline-block;border-radius:999px;padding:1px 10px;font-size:12.5px;font-weight:600}
.pill.bad{background:var(--badbg);color:var(--bad)}
.pill.good{background:var(--goodbg);color:var(--good)}
.pill.plain{background:var(--track);color:var(--dim)}
.scatter{width:100%;height:auto;max-width:980px;display:block}
.scatter .grid{stroke:var(--line);stroke-width:1}
.scatter text{fill:var(--dim);font-size:12px}
.scatter .axis{font-size:12.5px}
.scatter .label.best{fill:var(--ink);font-weight:600}
.scatter .front{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}
.scatter .whisker{stroke:var(--other);stroke-width:1.5;opacity:.55}
.scatter .best .whisker{stroke:var(--accent)}
.scatter .best circle{fill:var(--accent);stroke:var(--card);stroke-width:2}
.scatter .other circle{fill:var(--card);stroke:var(--other);stroke-width:2}
.spark{vertical-align:middle}
.spark .limit{stroke:var(--other);stroke-width:1;stroke-dasharray:3 3}
.spark .line{fill:none;stroke:var(--accent);stroke-width:1.75;stroke-linejoin:round}
.spark .end{fill:var(--accent)}
.spark.rings .line{stroke:var(--bad)}.spark.rings .end{fill:var(--bad)}
.empty{padding:56px 22px;text-align:center}
.empty p{margin-bottom:10px}
code{font:13.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;background:var(--track);
border-radius:5px;padding:2px 6px}
footer{color:var(--dim);font-size:13px}
@media(max-width:640px){main{padding:20px 12px 40px}section{padding:16px 14px}}
"""
