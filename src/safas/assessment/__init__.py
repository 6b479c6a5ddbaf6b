"""What the scores of any system support: rates by the names of ISO/IEC 30107-3, intervals, guarantees, warnings.

`reading.read` makes presentations of a file, `assess.assess` makes report.json of presentations.
Nothing here knows of torch.
"""
