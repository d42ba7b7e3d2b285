# Stands in for the official python image: `python`, `pip` and `venv`; the packages come from the wheels in this folder, not from an index.
FROM llamaq-trial-base
COPY wheels /wheels
COPY pip.conf /etc/pip.conf
