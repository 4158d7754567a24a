{{ toJSONPretty (explode (ls "apps/web/env")) }}
