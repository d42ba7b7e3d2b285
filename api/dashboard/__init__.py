"""The dashboard: a static page that anybody gets, and data that needs the scope `admin`."""
