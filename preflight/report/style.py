"""The page's style: light and dark, wide and narrow, screen and landscape paper."""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #fff; --panel: #f4f6f8; --rule: #c9d1d9;
  --go: #116329; --nogo: #a40e26; --hold: #7a4a00; --warn: #7a4a00; --bar: #2f5d8a; --hatch: #a40e26; --back: #6b4d9c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --paper: #12161b; --panel: #1b2128;
  --rule: #3a434d; --go: #56d364; --nogo: #ff8b8b; --hold: #f0b849; --warn: #f0b849; --bar: #79b8ff; --hatch: #ff8b8b;
  --back: #c3a6ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem clamp(.75rem, 2.5vw, 2.5rem) 2rem; max-width: 1600px; background: var(--paper);
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.25rem; margin: 0; } h2 { font-size: 1.05rem; margin: 1.2rem 0 .4rem; }
p { margin: .2rem 0; } code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { white-space: pre-wrap; margin: .4rem 0; padding: .5rem; background: var(--panel);
  border-left: 3px solid var(--rule); }
.verdict { display: flex; flex-wrap: wrap; gap: .4rem 1.5rem; align-items: center; border: 3px solid currentColor;
  border-radius: .4rem; padding: .6rem 1rem; }
.verdict .word { font-size: 2.4rem; font-weight: 800; letter-spacing: .02em; line-height: 1.1; }
.verdict .about { color: var(--ink); }
.go { color: var(--go); } .nogo { color: var(--nogo); } .hold { color: var(--hold); }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: .15rem 1.5rem;
  margin: .8rem 0 0; }
.facts div, .labels div { display: grid; grid-template-columns: 6.5rem 1fr; gap: .5rem; }
dt { color: var(--soft); } dd { margin: 0; } dl { margin: 0; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: var(--soft); }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--rule); }
thead th { color: var(--soft); font-weight: 600; overflow-wrap: normal; } tbody th { font-weight: 600; }
.status { font-weight: 700; white-space: nowrap; } .pass { color: var(--go); } .fail { color: var(--nogo); }
.unknown, .stale { color: var(--hold); } .warn, .waived { color: var(--warn); } .skipped { color: var(--soft); }
.soft { color: var(--soft); } td[data-label="what"], td[data-label="cure"] { width: 28%; }
td[data-label="ask by"] { overflow-wrap: normal; } td[data-label="cost"] { white-space: nowrap; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 2.5rem; }
details { border-top: 1px solid var(--rule); padding: .35rem 0; } summary { cursor: pointer; }
summary:focus-visible, .scroll:focus-visible { outline: 3px solid var(--bar); outline-offset: 2px; }
figure { margin: 0; } .scroll { overflow-x: auto; } svg { display: block; width: 100%; min-width: 46rem; height: auto; }
svg text { font: 13px system-ui, sans-serif; fill: var(--ink); } svg .soft { fill: var(--soft); }
svg .strong { font-weight: 700; } .grid { stroke: var(--rule); } .rule { stroke: var(--ink); stroke-width: 2; }
.dashed { stroke-dasharray: 6 4; } .planned { fill: var(--bar); } .lost { fill: none; stroke: var(--bar); }
.lines { stroke: var(--hatch); stroke-width: 3; } .found { fill: url(#hatch); stroke: var(--hatch); }
.back { fill: var(--back); } .slack { stroke: var(--ink); stroke-width: 1.5; fill: none; } .event { fill: var(--ink); }
@media (max-width: 640px) { .stack thead { position: absolute; left: -100vw; }
  .stack tr { display: block; padding: .4rem 0; border-bottom: 1px solid var(--rule); }
  .stack th, .stack td { display: block; width: auto; border: 0; padding: .05rem 0; } .stack td:empty { display: none; }
  .stack td[data-label]::before { content: attr(data-label) ": "; color: var(--soft); }
  .verdict .word { font-size: 2rem; }
  .facts div, .labels div { grid-template-columns: 5.5rem 1fr; } }
@page { size: A4 landscape; margin: 8mm; }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --paper: #fff; --panel: #f4f6f8; --rule: #bbb;
  --go: #0b4a1c; --nogo: #8a0b1f; --hold: #5c3800; --warn: #5c3800; --bar: #2f5d8a; --hatch: #8a0b1f; --back: #6b4d9c; }
  html { font-size: 11px; } body { padding: 0; font-size: 7.6pt; line-height: 1.2; max-width: none; }
  .verdict { padding: .2rem .6rem; } .verdict .word { font-size: 1.8rem; } h2 { margin: .5rem 0 .1rem; }
  th, td { padding: .06rem .5rem .06rem 0; } svg { min-width: 0; max-height: 54mm; } .columns { gap: 0 1.2rem; }
  .columns { grid-template-columns: 1fr 1.5fr 1fr .8fr; } ul, figure { margin: 0; } footer { margin-top: .4rem; }
  .facts { margin-top: .3rem; grid-template-columns: repeat(3, 1fr); } .screen { display: none; }
  tr, figure { break-inside: avoid; } h2 { break-after: avoid; } }
"""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'"
)
"""Nothing is loaded and nothing runs: not from elsewhere, and not from text that got into the page."""
