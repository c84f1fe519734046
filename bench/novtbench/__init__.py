"""novt bench: what virtualization costs on this host, by which technique, for which work.

rows.py says what is measured, machines.py on what; schedule.py takes turns; results.py makes one
document of it, which table.py, report.py (HTML), JSON and CSV show.
"""
