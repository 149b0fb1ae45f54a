import { html } from 'hono/html';
import type { HttpContext } from './context.ts';

/** A page for whoever opens the port in a browser. */
export function indexPage(node: HttpContext): ReturnType<typeof html> {
  const links: readonly (readonly [string, string])[] = [
    ['/v1/cluster', 'nodes and shards: leader, term, commit, applied'],
    ['/readyz', 'whether this node should be sent traffic, and why not'],
    ['/healthz', 'whether the process is well'],
    ['/metrics', 'for Prometheus'],
  ];
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>nori-kv ${node.id}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}code{background:#8882;padding:.1em .3em}</style>
<h1>nori-kv, node ${node.id}</h1>
<ul>${links.map(([path, text]) => html`<li><a href="${path}">${path}</a>: ${text}</li>`)}</ul>
<p>Keys: <code>PUT</code>, <code>GET</code> and <code>DELETE</code> <code>/kv/{key}</code>, with
<code>?consistency=stale</code> on a GET for what this node has, perhaps behind.</p>
<p>Redis clients: <code>${node.announced.resp}</code></p>
</html>`;
}
