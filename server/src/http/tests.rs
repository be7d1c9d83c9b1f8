//! The router as a whole, in process, without AWS.
