"""VTNs that the suite is tried against: ours, ours behind a proxy, a demanding one; and a webhook for them."""
