"""Verdicts over HTTP and WebSocket around one `safas.Predictor`: the service, and the page that shows it.

settings    what the operator decides        refusals  every answer that is no verdict, in one shape
guard       keys and rates                   uploads   from a request's body to a file, within the size limit
pool        bounded work in threads          verdict, stream, info  the routes
telemetry   metrics, logs, headers           app, running           put together; started and stopped
browser     what the page needs to judge by itself; the page is static/, and docs/page.md tells of it
"""
