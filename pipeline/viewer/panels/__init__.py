"""The controls in the browser, one file per panel."""
