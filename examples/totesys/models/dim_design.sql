-- kind: dimension
-- key: design_id
-- comment: Designs that are sold
select
  design_id,
  design_name,
  file_location,
  file_name
from totesys.design
