"""How far apart shadow and live are: fold orders, pair, settle, diff, summarise. Pure."""
