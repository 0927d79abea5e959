"""Tables, charts and the HTML page of a run. Draws what is stored and computes no statistics."""
