//! Documents as typed objects.
