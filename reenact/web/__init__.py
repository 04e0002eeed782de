"""The page in the browser. Only `page` and `server` know Gradio."""
