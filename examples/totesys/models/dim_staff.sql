-- kind: dimension
-- key: staff_id
-- comment: Members of staff with their department
-- check warn: department_name <> 'Unknown'
-- check warn: location <> 'Unknown'
select
  s.staff_id,
  s.first_name,
  s.last_name,
  coalesce(d.department_name, 'Unknown') as department_name,
  coalesce(d.location, 'Unknown') as location,
  s.email_address
from totesys.staff as s
left join totesys.department as d on d.department_id = s.department_id
