"""Reports of a fleet for people who were not there: its capacity and its accounts, as one HTML file or as CSV."""
