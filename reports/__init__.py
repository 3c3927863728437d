"""What came out of a study: reads stored records, nothing else. No torch, no ray."""
